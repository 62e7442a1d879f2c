"""What all codecs share: the error of a frame that cannot be decoded."""


class DecodeError(ValueError):
    """A frame that cannot become an event; `reason` is fit for the rejected table."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason
