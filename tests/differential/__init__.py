"""The derivatives of common functions beside those of other frameworks, which tests do not need."""
