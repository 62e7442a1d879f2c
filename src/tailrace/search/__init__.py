"""The search language, turned into SQL and run."""
