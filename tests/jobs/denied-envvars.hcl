# Variables that the task is not to have, wherever they come from.
job "denied-envvars" {
  type = "batch"

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command        = "env"
        denied_envvars = ["*_TOKEN", "NOMAD_META_*"]
      }

      meta {
        owner = "someone"
      }

      env {
        API_TOKEN = "secret"
        TOKENS    = "kept"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
