"""What Tailrace says of itself: its own log lines and its metrics' registry.

On a terminal the lines are for people, in a pipe they are JSON, unless `log_format` says which.
They go to standard error, so that standard output stays what the command was asked for.
"""

import logging
import sys

import structlog
from prometheus_client import CollectorRegistry

from tailrace.settings import Settings

Logger = structlog.stdlib.BoundLogger


def configure_logging(settings: Settings) -> None:
    """Set up the process's own log lines, as `log_level` and `log_format` want them."""
    is_text = settings.log_format == "text" or (
        settings.log_format == "auto" and sys.stderr.isatty()
    )
    renderer: structlog.typing.Processor = (
        # Plain: a traceback with the values of variables is slow and may show secrets.
        structlog.dev.ConsoleRenderer(
            pad_event_to=0,
            pad_level=False,
            exception_formatter=structlog.dev.plain_traceback,
        )
        if is_text
        else structlog.processors.JSONRenderer()
    )
    time_format = "%H:%M:%S" if is_text else "iso"
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt=time_format, utc=not is_text),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.format_exc_info,
                renderer,
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(settings.log_level.upper())
    for name in ("httpx", "httpcore", "urllib3"):  # they tell of every request and retry
        logging.getLogger(name).setLevel(logging.ERROR)


def get_logger(name: str) -> Logger:
    """A logger that carries fields: `log.info("batch delivered", rows=120)`."""
    logger: Logger = structlog.stdlib.get_logger(name)
    return logger


def new_registry() -> CollectorRegistry:
    """A registry of metrics, one a process, passed to whoever counts."""
    return CollectorRegistry()
