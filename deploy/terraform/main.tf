# Gatehouse on Kubernetes, by its Helm chart, with secrets that are there already.
#
#   terraform init
#   terraform apply -var existing_secret=gatehouse -var credentials_secret=gatehouse-credentials \
#     -var dashboard_secret=gatehouse-dashboard
#
# No secret goes through Terraform, whose state would keep it in clear: the chart takes Secrets of
# the namespace by their names (docs/install/kong.md says what is in them).
terraform {
  required_version = ">= 1.3"
  required_providers {
    helm       = { source = "hashicorp/helm", version = "~> 2.17" }
    kubernetes = { source = "hashicorp/kubernetes", version = "~> 2.35" }
  }
}

provider "kubernetes" {
  config_path    = var.kubeconfig
  config_context = var.kube_context
}

provider "helm" {
  kubernetes {
    config_path    = var.kubeconfig
    config_context = var.kube_context
  }
}

# That they are there is seen before anything is changed.
data "kubernetes_secret" "named" {
  for_each = toset(compact([var.existing_secret, var.credentials_secret, var.dashboard_secret]))
  metadata {
    name      = each.value
    namespace = var.namespace
  }
}

locals {
  values = {
    existingSecret    = var.existing_secret
    credentialsSecret = var.credentials_secret
    image             = { repository = var.image_repository, tag = var.image_tag }
    models            = file(var.models_file)
    policyService = {
      replicas     = var.replicas
      workers      = var.workers
      minAvailable = max(var.replicas - 1, 1)
      settings     = merge({ POLICY_LOG_FORMAT = "json" }, var.settings)
    }
    kong = merge(
      { enabled = var.with_kong, hosts = var.hosts, credentials = var.kong_credentials },
      { replicas = var.replicas, minAvailable = max(var.replicas - 1, 1) },
    )
    dashboard = {
      enabled        = var.dashboard_secret != ""
      existingSecret = var.dashboard_secret
    }
    networkPolicy = { gateways = var.gateways }
  }
}

resource "helm_release" "gatehouse" {
  name      = "gatehouse"
  namespace = var.namespace
  chart     = "${path.module}/../helm/gatehouse"
  values    = [yamlencode(local.values)]
  # A migration may take its time, in an init container of the policy service.
  timeout    = 1800
  atomic     = true
  depends_on = [data.kubernetes_secret.named]
}
