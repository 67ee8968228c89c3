import sys
from regopy import Interpreter
src={}
def t(name, code):
    i=Interpreter()
    try:
        i.add_module("x.rego", "package x\n\n"+code)
        print(name, "ok", i.query("data.x"))
    except Exception as e:
        print(name, "ERR", str(e)[:300].replace("\n"," "))
t("index", 'a := [x | some x in [1,2]][0]\n')
t("index2", 'a := [x | some x in [1,2]; x != 1][0] if { 1 == 1 }\n')
t("under", 'f(_, "*")\nb := f(1,"*")\n')
t("under2", 'f(_) if is_null(null)\nb := f(1)\n')
t("constarg", 'f(x, "forbidden") if x == 1\nb if f(1,"forbidden")\n')
t("someidx", 'o := ["a","b"]\nrank(c) := p if {\n  some p\n  o[p] == c\n}\nb := rank("b")\n')
t("not", 'deny contains "x" if {\n  count([]) == 0\n  some c in [1]\n  not f(c)\n}\nf(c) if c == 2\n')
t("local", 'default grant := ""\n\ngrant := _g.id if {\n _g\n}\n_gs := [grant |\n\tsome grant in [{"id": 1}]\n\tis_number(grant.id)\n]\n_g := [grant |\n\tsome grant in _gs\n][0]\n')
t("colon", 'x := "Ask for it: a, or b."\n')
t("null", 'p contains c if {\n  [] == []\n  c := null\n c != null\n}\n')
t("idxvar", '_g := _gs[0]\n_gs := [1]\n')
t("setcmp", 'x := [e | some e in [{"a": "off", "b": "off"}]; {e.a, e.b} != {"off"}]\n')
t("dot", 'x := list.teams[input.a] if {\n true\n} else := 2\nlist := {}\n')
t("objset", 'pl contains {"l": "t", "n": 1}\n x := array.concat([1], [e | some p in pl; e := p.n])\n')
t("badset", 'pl contains {"l": "t", "n": input.x.y}\n\npl contains {"l": "u", "n": 1}\nx := pl\n')
