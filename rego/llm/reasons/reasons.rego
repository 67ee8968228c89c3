# METADATA
# title: Reasons
# description: |
#   Builds the objects that every deny set is made of. A reason names its rule itself, because
#   rego.metadata.chain() comes back empty on the embedded engine.
# scope: package
# schemas:
#   - input: schema.input
package llm.reasons

# METADATA
# title: Reason against the whole call
# description: No deployment can serve the call, whatever else holds.
# scope: document
against_call(code, rule, message, solution) := {
	"code": code,
	"rule": rule,
	"message": message,
	"solution": solution,
	"deployment": "",
}

# METADATA
# title: Reason against one deployment
# description: This deployment cannot serve the call; others may.
# scope: document
against_deployment(id, code, rule, message, solution) := {
	"code": code,
	"rule": rule,
	"message": message,
	"solution": solution,
	"deployment": id,
}
