from _try4 import *
import ctypes
from regopy import rego_shared
R=rego_shared.rego
f=R.regoSetInputJSON; f.restype=ctypes.c_uint32; f.argtypes=[ctypes.c_void_p, ctypes.c_char_p]
b=q.encode()
print(f(I._impl,b))
tm("json", lambda: f(I._impl,b))
g=R.regoSetInputTerm
tm("term raw", lambda: g(I._impl,b))
# direct build through ctypes
import json
names=[n for n in dir(R)]
print([n for n in __import__('re').findall(r"rego\.(regoInput\w+)", open(rego_shared.__file__).read())])
