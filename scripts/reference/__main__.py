"""`python -m scripts.reference`: write the files anew."""

from scripts.reference.pages import FOLDER, PAGES


def main() -> None:
    """Write every page."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for name, write in PAGES.items():
        (FOLDER / name).write_text(write(), "utf-8")
        print(f"docs/reference/{name}")


main()
