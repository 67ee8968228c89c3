from _try4 import *
import json
from regopy import Input
print("wf", I.well_formed_checks_enabled)
I.well_formed_checks_enabled = False
tm("term, no wf", lambda: I.set_input_term(q))
d=json.loads(q)
tm("set_input", lambda: I.set_input(d))
i=Input(d)
tm("set_input only", lambda: I.set_input(i))
tm("query", lambda: I.query_bundle_entrypoint(e._built,"llm/main/decision"))
I.set_input_term(q)
tm("query after term", lambda: I.query_bundle_entrypoint(e._built,"llm/main/decision"))
