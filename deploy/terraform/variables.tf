variable "kubeconfig" {
  description = "The file with the cluster's address and credentials."
  type        = string
  default     = "~/.kube/config"
}

variable "kube_context" {
  description = "Which of its contexts; the current one by default."
  type        = string
  default     = null
}

variable "namespace" {
  description = "Where everything is installed; it is there, with the Secrets in it."
  type        = string
  default     = "gatehouse"
}

variable "existing_secret" {
  description = "The Secret with POLICY_INTERNAL_SECRET, POLICY_TICKET_SECRET, POLICY_DIGEST_KEY, POLICY_DATABASE_URL and POLICY_REDIS_URL."
  type        = string
}

variable "credentials_secret" {
  description = "The Secret with the providers' credentials, by the catalogue's names."
  type        = string
}

variable "dashboard_secret" {
  description = "The Secret with the dashboard's settings; without it there is no dashboard."
  type        = string
  default     = ""
}

variable "image_repository" {
  description = "Where the image of deploy/docker/Dockerfile was pushed to."
  type        = string
}

variable "image_tag" {
  description = "Its tag; the chart's version by default."
  type        = string
  default     = ""
}

variable "models_file" {
  description = "The model catalogue."
  type        = string
}

variable "replicas" {
  description = "Of the policy service, and of Kong."
  type        = number
  default     = 3
  validation {
    condition     = var.replicas >= 2
    error_message = "One replica is not available while its node is drained: take two or more."
  }
}

variable "workers" {
  description = "Processes in each pod of the policy service."
  type        = number
  default     = 2
}

variable "settings" {
  description = "Further settings of the policy service that are no secrets, by name (docs/settings.md)."
  type        = map(string)
  default     = {}
}

variable "with_kong" {
  description = "Whether a Kong of its own is installed; without it, name yours in `gateways`."
  type        = bool
  default     = true
}

variable "hosts" {
  description = "Hosts that Kong's routes answer for; empty for every host."
  type        = list(string)
  default     = []
}

variable "kong_credentials" {
  description = "Credentials that Kong has as well, for calls that it makes itself."
  type        = list(string)
  default     = []
}

variable "gateways" {
  description = "Where your own Kong is, as `from` of a NetworkPolicy takes it."
  type        = any
  default     = []
}
