# METADATA
# title: What must be done to an allowed call?
# description: |
#   Obligations never permit anything; they bind calls that other rules permit. Where the list is lost
#   they are undefined, and llm.main denies the call. How places are weighed is said in
#   llm.precedence; here it is said what tightening means for each list.
# scope: package
# schemas:
#   - input: schema.input
package llm.obligations

import data.llm.precedence

# METADATA
# title: Obligations
# description: All of them, as the service carries them out.
# scope: document
all := {
	"max_output_tokens": max_output_tokens,
	"cache_seconds": _cache.seconds,
	"cache_scope": _cache.scope,
	"pii": pii,
	"guard": guard,
	"log": log,
}

# METADATA
# title: Cap on the answer's length
# description: Tokens; null is no cap. The narrowest entry overrides.
# scope: document
max_output_tokens := precedence.nearest("max_output_tokens")

# How long an answer may be kept, and for whom. The narrowest entry overrides.
_cache := precedence.nearest("cache")

# METADATA
# title: What becomes of personal data
# description: |
#   The strictest mode of any place for each direction. Placeholders turn back into words where every
#   place that screens says so. All kinds that one of them looks for; none named is all there are.
# scope: document
pii := only if {
	[only] := _pii
} else := {
	"input": _mode("input"),
	"output": _mode("output"),
	"restore": _restores,
	"kinds": _kinds,
}

# METADATA
# title: The prompt guard's profile
# description: |
#   The widest place that names one wins: a narrower place may add a guard, not exchange or drop it.
# scope: document
guard := widest if {
	widest := _guards[0]
} else := "" if {
	_guard_entries
}

# METADATA
# title: What is kept of the words
# description: The least that any place keeps, for the shortest time.
# scope: document
log := only if {
	[only] := _log
} else := {"level": _level, "keep_days": _keep_days}

_pii := precedence.holding("pii")

_mode(direction) := "block" if {
	some entry in _pii
	mode := entry[direction]
	mode == "block"
} else := "redact" if {
	some entry in _pii
	mode := entry[direction]
	mode == "redact"
} else := "off" if {
	every entry in _pii {
		mode := entry[direction]
		mode == "off"
	}
}

_screening := [entry |
	some entry in _pii
	_screens(entry)
]

_screens(entry) if not entry.input == "off"

_screens(entry) if not entry.output == "off"

default _restores := false

_restores if {
	not _screening == []
	every entry in _screening { entry.restore == true }
}

_looks_for_all if {
	some entry in _screening
	entry.kinds == []
}

_kinds := [] if {
	_looks_for_all
} else := sort({kind |
	some entry in _screening
	some kind in entry.kinds
})

_guard_entries := precedence.holding("guard")

_guards := [profile |
	some profile in _guard_entries
	not profile == ""
]

_log := precedence.holding("log")

_levels := {entry.level | some entry in _log}

_level := level if {
	some level in _levels
	every other in _levels { other in _no_less_than[level] }
}

_no_less_than := {
	"none": {"none", "digest", "redacted", "full"},
	"digest": {"digest", "redacted", "full"},
	"redacted": {"redacted", "full"},
	"full": {"full"},
}

_keep_days := days if {
	some entry in _log
	days := entry.keep_days
	every other in _log { other.keep_days >= days }
}
