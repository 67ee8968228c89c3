# Inputs that the tests beside the rules start from; they are valid, and each test changes what it is
# about. The Python contract test compares their shape with what the service builds.
package llm.examples_test

caller := {
	"organisation": "acme",
	"department": "sales",
	"team": "emea-sales",
	"proof": "api_key",
	"project": null,
	"user": "ada",
	"application": null,
	"key_id": "key-1",
	"roles": ["developer"],
	"groups": [],
	"clearance": null,
	"allowed_models": ["chat", "o1-pro"],
	"cost_centre": null,
	"priority": "interactive",
}

call := {
	"operation": "chat.completions",
	"asked_model": "chat",
	"is_streaming": false,
	"prompt_tokens": 100,
	"max_output_tokens": null,
	"choices": 1,
	"has_tools": false,
	"has_images": false,
	"response_format": "text",
	"body_digest": "",
	"body_bytes": 120,
	"data_labels": [],
	"use_case": null,
	"priority": "interactive",
	"networks": [],
}

cheap := {
	"id": "cheap",
	"provider": "openai",
	"model": "gpt-4o-mini",
	"region": "eu-west-1",
	"attributes": {"dpa": true},
	"agreements": {"dpa": {"since_unix": 1735689600, "until_unix": null}},
	"data_processing": {"retention_days": 30, "trains_on_data": false, "sub_processors": []},
	"is_priced": true,
	"is_free": false,
	"usd_per_million_input": 0.15,
	"usd_per_million_output": 0.6,
	"worst_usd": 0.01,
}

costly := object.union(cheap, {
	"id": "costly",
	"usd_per_million_input": 3,
	"usd_per_million_output": 15,
})

free := object.union(cheap, {
	"id": "free",
	"is_free": true,
	"usd_per_million_input": 0,
	"usd_per_million_output": 0,
	"worst_usd": 0,
})

unpriced := object.union(cheap, {
	"id": "unpriced",
	"is_priced": false,
	"usd_per_million_input": null,
	"usd_per_million_output": null,
	"worst_usd": null,
})

budget(node, used_fraction) := {
	"node": node,
	"scope": "",
	"measure": "usd_per_month",
	"amount": 100,
	"used": 100 * used_fraction,
	"remaining": max([0, 100 - (100 * used_fraction)]),
	"used_fraction": used_fraction,
}

rate_limit(used_fraction) := object.union(
	budget("team:emea-sales", used_fraction),
	{"measure": "requests_per_minute"},
)

time := {
	"rfc3339": "2026-11-20T18:00:00.000000Z",
	"unix": 1795197600,
	"weekday": "friday",
	"hour": 18,
	"local": {"weekday": "friday", "hour": 19, "minute": 30},
}

chat := {
	"version": 1,
	"caller": caller,
	"call": call,
	"candidates": [costly, cheap, free],
	"budgets": [budget("team:emea-sales", 0.1), rate_limit(1)],
	"models": [],
	"time": time,
	"approvals": [],
}

# The example with something else about its call.
calling(about) := object.union(chat, {"call": object.union(call, about)})

listing := object.union(chat, {
	"call": object.union(call, {"operation": "models", "asked_model": ""}),
	"candidates": [],
	"models": ["zeta", "o1-pro", "chat"],
})

# The lists that the tests judge by, so that compliance can change the real ones freely.
lists := {
	"revision": "test-1",
	"models": {"restricted": {"o1-pro": {"roles": ["power-user"], "departments": ["research"]}}},
	"budgets": {"soft": {"used_fraction": 0.9, "max_usd_per_million_output": 1}},
	"places": {
		"default": {
			"max_output_tokens": null,
			"cache": {"seconds": 0, "scope": "team"},
			"pii": no_pii,
			"guard": "",
			"log": {"level": "digest", "keep_days": 30},
			"tools": true,
			"images": true,
			"hours": null,
			"sources": null,
			"use_case_required": false,
		},
		"organisations": {},
		"departments": {},
		"teams": {},
		"reading": {"pii": "tighten", "guard": "tighten", "log": "tighten"},
	},
	"data_classes": {
		"order": ["public", "internal", "confidential", "restricted"],
		"labels": {"personal": "confidential", "health": "restricted", "press": "public"},
		"unlabelled": null,
		"clearance_from": "restricted",
	},
	"residency": {
		"regions": {"eu": ["eu-west-1", "eu-central-1"]},
		"classes": {"public": ["*"], "internal": ["eu", "us-east-1"], "confidential": ["eu"], "restricted": ["eu"]},
		"labels": {"health": ["eu-central-1"]},
	},
	"agreements": {
		"presets": {
			"gdpr": {"agreements": ["dpa"], "retention_days": 30, "training": "forbidden", "sub_processors": ["*"]},
			"hipaa": {"agreements": ["baa"], "retention_days": 0, "training": "forbidden", "sub_processors": ["aws"]},
			"lenient": {"agreements": [], "retention_days": null, "training": "allowed", "sub_processors": ["*"]},
		},
		"classes": {"confidential": ["gdpr"], "public": ["lenient"]},
		"labels": {"health": ["hipaa"]},
	},
	"use_cases": {"only_known": false, "known": {}},
	"approvals": {"models": {}, "above_usd": null},
}

no_pii := {"input": "off", "output": "off", "restore": false, "kinds": []}

# The lists with one of them changed in part; what is not named stays.
with_list(name, content) := object.union(lists, {name: content})

# The lists with something said at one of the caller's places.
at_team(settings) := with_list("places", {"teams": {"emea-sales": settings}})

at_department(settings) := with_list("places", {"departments": {"sales": settings}})

# What can be said at each of the caller's places, the widest first.
at_each_place(settings) := [
	with_list("places", {"default": settings}),
	with_list("places", {"organisations": {"acme": settings}}),
	at_department(settings),
	at_team(settings),
]

no_obligations := {
	"max_output_tokens": null,
	"cache_seconds": 0,
	"cache_scope": "team",
	"pii": no_pii,
	"guard": "",
	"log": {"level": "digest", "keep_days": 30},
}
