from _try4 import *
import json
print(q)
d=json.loads(q)
for k in list(d):
    t=json.dumps({k:d[k]}); tm("term "+k+" "+str(len(t)), lambda: I.set_input_term(t))
tm("empty", lambda: I.set_input_term("{}"))
t=json.dumps(d["caller"],separators=(",",":")); tm("compact caller", lambda: I.set_input_term(t))
