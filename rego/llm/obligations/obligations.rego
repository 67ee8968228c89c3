# METADATA
# title: What must be done to an allowed call?
# description: |
#   Obligations never permit anything; they bind calls that other rules permit. Where lists are lost
#   the call is denied by llm.request, and what stands here is the strictest.
# scope: package
# schemas:
#   - input: schema.input
package llm.obligations

import data.llm.config
import data.llm.precedence

# METADATA
# title: Obligations
# description: All of them, as the service carries them out.
# scope: document
all := {
	"max_output_tokens": max_output_tokens,
	"cache_seconds": cache_seconds,
	"cache_scope": cache_scope,
	"pii": pii,
	"guard": guard,
	"log": log,
}

# METADATA
# title: Cap on the answer's length
# description: Tokens; null is no cap. The narrowest entry overrides.
# scope: rule
default max_output_tokens := null

max_output_tokens := precedence.nearest(config.output_caps)

# METADATA
# title: How long an answer may be kept
# description: Seconds; 0 is not at all. The narrowest entry overrides.
# scope: document
cache_seconds := object.get(_cache, "seconds", 0)

# METADATA
# title: Who may be given a kept answer
# description: user, project, team, department or organisation; never somebody of another organisation.
# scope: document
cache_scope := object.get(_cache, "scope", "team")

default _cache := {}

_cache := precedence.nearest(config.answer_cache)

# METADATA
# title: What becomes of personal data
# description: |
#   The strictest mode of any place for each direction. Placeholders turn back into words where every
#   place that screens says so. All kinds that one of them looks for; none named is all there are.
# scope: document
pii := {
	"input": _mode("input"),
	"output": _mode("output"),
	"restore": _restores,
	"kinds": _kinds,
}

# METADATA
# title: The prompt guard's profile
# description: |
#   The widest place that names one wins: a narrower place may add a guard, not exchange or drop it.
# scope: rule
default guard := ""

guard := precedence.nearest(config.guard) if config.guard.precedence == "override"

guard := _guards[0] if config.guard.precedence == "tighten"

_guards := [profile |
	some profile in precedence.binding(config.guard)
	profile != ""
]

# METADATA
# title: What is kept of the words
# description: The least that any place keeps, for the shortest time.
# scope: rule
default log := {"level": "none", "keep_days": 0}

log := precedence.nearest(config.log) if config.log.precedence == "override"

log := {"level": _level, "keep_days": _keep_days} if config.log.precedence == "tighten"

# One entry when narrower places override, else all that bind; lost lists block.
_pii := [precedence.nearest(config.pii)] if {
	config.pii.precedence == "override"
} else := precedence.binding(config.pii) if {
	true
} else := [{"input": "block", "output": "block", "restore": false, "kinds": []}]

_mode(direction) := "block" if {
	some entry in _pii
	entry[direction] == "block"
} else := "redact" if {
	some entry in _pii
	entry[direction] == "redact"
} else := "off"

_screening := [entry |
	some entry in _pii
	{entry.input, entry.output} != {"off"}
]

default _restores := false

_restores if {
	count(_screening) > 0
	every entry in _screening { entry.restore == true }
}

_looks_for_all if {
	some entry in _screening
	count(entry.kinds) == 0
}

_kinds := [] if {
	_looks_for_all
} else := sort({kind |
	some entry in _screening
	some kind in entry.kinds
})

_level := level if {
	some level in ["none", "digest", "redacted", "full"]
	level in _levels
	every wider in _levels { wider in _at_least[level] }
}

_levels := {entry.level | some entry in precedence.binding(config.log)}

_at_least := {
	"none": {"none", "digest", "redacted", "full"},
	"digest": {"digest", "redacted", "full"},
	"redacted": {"redacted", "full"},
	"full": {"full"},
}

_keep_days := days if {
	entries := precedence.binding(config.log)
	some entry in entries
	days := entry.keep_days
	every other in entries { other.keep_days >= days }
}
