from _try3 import *
import regopy
m={"llm/main/main.rego":"package llm.main\ndecision := 1\n"}
e=Evaluator({"modules":m,"data":"{}","entrypoint":"llm/main/decision"})
I=e._interpreter
print(len(q))
def tm(name,f,n=200):
    for _ in range(10): f()
    ts=[]
    for _ in range(n):
        t=time.process_time(); f(); ts.append((time.process_time()-t)*1e3)
    ts.sort(); print(f"{name:30} {ts[n//2]:.3f}")
tm("set_input_term", lambda: I.set_input_term(q))
tm("set_input_json", lambda: I.set_input_json(q)) if hasattr(I,"set_input_json") else None
tm("query", lambda: I.query_bundle_entrypoint(e._built,"llm/main/decision"))
o=I.query_bundle_entrypoint(e._built,"llm/main/decision")
tm("results", lambda: I.query_bundle_entrypoint(e._built,"llm/main/decision").results)
