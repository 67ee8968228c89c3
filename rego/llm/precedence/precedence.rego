# METADATA
# title: Which entry of a list binds?
# description: |
#   Lists by place have a `default`, and may have `organisations`, `departments` and `teams`, each with
#   entries by name. The narrower place stands above the wider one: default < organisation <
#   department < team. A list is read in one of two ways, and this is the one package that says how:
#   `override`, the narrowest entry holds whatever the wider ones say; or `tighten`, all entries hold
#   at once, so that a narrower place can add to what a wider one demands and take nothing from it.
# scope: package
# schemas:
#   - input: schema.input
package llm.precedence

# METADATA
# title: The narrowest entry
# description: The team's, else the department's, else the organisation's, else the default.
# scope: document
nearest(list) := list.teams[input.caller.team] if {
	true
} else := list.departments[input.caller.department] if {
	true
} else := list.organisations[input.caller.organisation] if {
	true
} else := list["default"]

# METADATA
# title: Every entry that holds for the caller
# description: The widest first; undefined for a list without a default.
# scope: document
binding(list) := [list["default"]] if {
	not _narrowed(list)
} else := array.concat([list["default"]], [entry |
	some place in _places
	entry := list[place[1]][place[2]]
])

# METADATA
# title: The entries that hold, as the list itself says
# description: By its `precedence`, one or all; undefined for another word.
# scope: document
holding(list) := binding(list) if {
	list.precedence == "tighten"
} else := [nearest(list)] if {
	list.precedence == "override"
}

# Any value will do, false and null too.
_narrowed(list) if is_string(json.marshal(list.teams[input.caller.team]))

_narrowed(list) if is_string(json.marshal(list.departments[input.caller.department]))

_narrowed(list) if is_string(json.marshal(list.organisations[input.caller.organisation]))

# Numbered, because a set is walked in its elements' order.
_places contains [1, "organisations", input.caller.organisation]

_places contains [2, "departments", input.caller.department]

_places contains [3, "teams", input.caller.team]
