output "policy_url" {
  description = "What `policy_url` of the plugins is, within the cluster."
  value       = "http://gatehouse-policy.${var.namespace}.svc:8100"
}
