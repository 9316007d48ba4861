"""The error of this application: what the user gave can't be used."""


class InputError(ValueError):
    """Options, data or a folder that can't be used; the command line exits with 2.

    Its text is one sentence that names the thing, its value and the way out.
    """
