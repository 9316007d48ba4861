"""The class of each of NumPy's public callables: what becomes of a tracked Tensor there.

The table is that of NumPy 2.4 on 64-bit Linux; other releases and machines lack a few of its names.
"""

import numpy as np

from tests.inventory.table import CALLS, PLAIN, REFUSED

MODULES = {"": np, "linalg.": np.linalg, "fft.": np.fft}

CREATION = """
    arange bartlett blackman diag_indices empty empty_like eye frombuffer fromfile fromfunction
    fromiter fromregex fromstring full_like genfromtxt hamming hanning identity indices kaiser load
    loadtxt mask_indices ones ones_like tri tril_indices triu_indices zeros zeros_like
    fft.fftfreq fft.rfftfreq
"""
WITHOUT_ARRAYS = """
    datetime_data get_include get_printoptions getbufsize geterr geterrcall info printoptions
    set_printoptions setbufsize seterr seterrcall show_config show_runtime test linalg.test fft.test
"""
TYPES = """
    bool bool_ broadcast busdaycalendar byte bytes_ cdouble character clongdouble complex128
    complex256 complex64 complexfloating csingle datetime64 double dtype errstate finfo flatiter
    flexible float128 float16 float32 float64 floating generic half iinfo inexact int16 int32 int64
    int8 int_ intc integer intp long longdouble longlong matrix memmap ndarray ndenumerate ndindex
    nditer number object_ poly1d recarray record short signedinteger single str_ timedelta64 ubyte
    ufunc uint uint16 uint32 uint64 uint8 uintc uintp ulong ulonglong unsignedinteger ushort void
    linalg.LinAlgError
"""

CLASSES = {
    "differentiable": {call.name for call in CALLS},
    "plain": {call.name for call in PLAIN},
    "refused": {call.name for call in REFUSED},
    "creation": set(CREATION.split()),
    "without arrays": set(WITHOUT_ARRAYS.split()),
    "types": set(TYPES.split()),
}


def public_callables():
    """Return the names of what can be called in NumPy's three namespaces."""
    return {
        prefix + name
        for prefix, module in MODULES.items()
        for name in dir(module)
        if not name.startswith("_") and callable(getattr(module, name))
    }
