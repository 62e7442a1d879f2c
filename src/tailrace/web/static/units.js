// Numbers as people read them, with their unit; `web/units.py` writes the same.

const BYTES = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
const SHORT = [
  [1e12, "T"],
  [1e9, "G"],
  [1e6, "M"],
];

function plain(number) {
  if (Number.isInteger(number)) return number.toLocaleString("en");
  const size = Math.abs(number);
  if (size >= 100) return Math.round(number).toLocaleString("en");
  const digits = size >= 10 ? 1 : size >= 1 ? 2 : 2 - Math.floor(Math.log10(size));
  return number.toFixed(Math.min(digits, 12)).replace(/0+$/, "").replace(/\.$/, "");
}

// 99.96 is not written as 100: what is missing is what somebody looks for.
function nearlyAll(percent) {
  const digits = Math.min(-Math.floor(Math.log10(100 - percent)), 12);
  return percent.toFixed(digits).replace(/0+$/, "").replace(/\.$/, "");
}

function short(number) {
  for (const [size, letter] of SHORT) {
    if (Math.abs(number) >= size) return `${plain(number / size)} ${letter}`;
  }
  return plain(number);
}

function duration(seconds) {
  const size = Math.abs(seconds);
  if (size === 0 || (size >= 0.001 && size < 1)) return `${plain(seconds * 1000)} ms`;
  if (size < 0.001) return `${plain(seconds * 1e6)} µs`;
  if (size < 120) return `${plain(seconds)} s`;
  return size < 7200 ? `${plain(seconds / 60)} min` : `${plain(seconds / 3600)} h`;
}

function bytes(number) {
  let power = 0;
  let rest = number;
  while (Math.abs(rest) >= 1024 && power < BYTES.length - 1) {
    rest /= 1024;
    power += 1;
  }
  return `${plain(rest)} ${BYTES[power]}`;
}

export function formatNumber(number, unit = "", isShort = false) {
  if (number === null || !Number.isFinite(number)) return "–";
  if (unit === "ms") return duration(number / 1000);
  if (unit === "s") return duration(number);
  if (unit === "bytes") return bytes(number);
  if (unit === "%" && number > 99 && number < 100) return `${nearlyAll(number)} %`;
  const text = isShort ? short(number) : plain(number);
  return unit ? `${text} ${unit}` : text;
}

// What stands at an axis: scaled, and with the unit only where it is part of the number.
export function formatTick(number, unit) {
  return formatNumber(number, ["ms", "s", "bytes", "%"].includes(unit) ? unit : "", true);
}
