"""What there is to know about one kind of data, one folder each."""
