# Hides what it doesn't need: of what the defaults grant, and the secrets that its template has used.
job "veil" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "cat ${NOMAD_SECRETS_DIR}/word || cat /etc/hosts; cat word; exec sleep infinity"]
        veil    = ["${NOMAD_SECRETS_DIR}", "/etc/hosts"]
      }

      template {
        destination = "secrets/word"
        data        = "secret\n"
      }

      template {
        destination = "local/word"
        data        = "found\n"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
