# METADATA
# title: May tools and images be used?
# description: Every place that binds the caller must allow them.
# scope: package
# schemas:
#   - input: schema.input
package llm.features

import data.llm.precedence
import data.llm.reasons
import data.llm.request

# METADATA
# title: Tools not allowed
# description: A call that offers tools to the model needs leave for it.
# scope: rule
# custom:
#   code: tools_not_allowed
#   solution: Leave tools out of the request, or ask compliance to allow them.
deny contains reasons.against_call(
	"tools_not_allowed",
	"llm.features",
	"Your team may not offer tools to a model.",
	"Leave tools out of the request, or ask compliance to allow them.",
) if {
	not _without_tools
	not request.is_listing
	not _tools_allowed
}

# METADATA
# title: Images not allowed
# description: A call that holds images needs leave for it.
# scope: rule
# custom:
#   code: images_not_allowed
#   solution: Leave images out of the request, or ask compliance to allow them.
deny contains reasons.against_call(
	"images_not_allowed",
	"llm.features",
	"Your team may not send images to a model.",
	"Leave images out of the request, or ask compliance to allow them.",
) if {
	not _without_images
	not request.is_listing
	not _images_allowed
}

_without_tools if input.call.has_tools == false

_tools_allowed if {
	every entry in precedence.said("tools") { entry == true }
}

_without_images if input.call.has_images == false

_images_allowed if {
	every entry in precedence.said("images") { entry == true }
}
