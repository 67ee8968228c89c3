import sys, time, json
from pathlib import Path
from policy_service.adapters.policy_bundle import load_bundle
from policy_service.adapters.regopy_worker import Evaluator
from policy_service.adapters.regopy_text import rego_term
from tests.fixtures.policy_inputs import *
q = rego_term(chat_input(candidates=(COSTLY, CHEAP), budgets=tuple(budget("10", node=n) for n in "abcd")))
def measure(name, modules, data, term=q):
    e = Evaluator({"modules": modules, "data": rego_term(data) if not isinstance(data,str) else data, "entrypoint": "llm/main/decision"})
    for _ in range(20): e.answer(term)
    ts=[]
    for _ in range(150):
        t=time.process_time(); a=e.answer(term); ts.append((time.process_time()-t)*1e3)
    ts.sort(); print(f"{name:30} p50 {ts[75]:.3f} p99 {ts[148]:.3f}")
    return a
b0=load_bundle(Path("/tmp/base/rego")); b=load_bundle(Path("rego"))
if __name__ == "__main__":
    measure("baseline", dict(b0.modules), b0.data)
    measure("now", dict(b.modules), b.data)
    measure("trivial, data+input", {"llm/main/main.rego":"package llm.main\ndecision := 1\n"}, b.data)
    measure("trivial, no data", {"llm/main/main.rego":"package llm.main\ndecision := 1\n"}, {})
    measure("trivial, no data no input", {"llm/main/main.rego":"package llm.main\ndecision := 1\n"}, {}, "{}")
    measure("trivial+input use", {"llm/main/main.rego":"package llm.main\ndefault decision := 2\ndecision := input.call.asked_model\n"}, b.data)
    measure("trivial+data use", {"llm/main/main.rego":"package llm.main\ndefault decision := 2\ndecision := data.data.budgets.soft.used_fraction\n"}, b.data)
    measure("now, empty input", dict(b.modules), b.data, "{}")
    # cost of each question
    for q_ in ["request","models","pricing","budgets","data_classes","residency","agreements","features","hours","sources","use_cases","approvals"]:
        m=dict(b.modules)
        m["llm/main/main.rego"]="package llm.main\nimport data.llm.%s\ndefault decision := 2\ndecision := %s.deny\n"%(q_,q_)
        measure("only "+q_, m, b.data)
    m=dict(b.modules)
    m["llm/main/main.rego"]="package llm.main\nimport data.llm.obligations\ndefault decision := 2\ndecision := obligations.all\n"
    measure("obligations", m, b.data)
    m["llm/main/main.rego"]="package llm.main\nimport data.llm.config\ndefault decision := 2\ndecision := config.complete\n"
    measure("config", m, b.data)
