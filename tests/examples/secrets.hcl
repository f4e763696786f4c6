# A password from Nomad's variables. It is written to the task's `secrets`, which is in memory and nobody else's.
#
# Before it is run: nomad var put nomad/jobs/secrets password=swordfish
job "secrets" {
  type = "batch"

  group "secrets" {
    task "login" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-ec", "letters=$(wc -m <\"$NOMAD_SECRETS_DIR/password\"); echo \"the password has $letters letters\""]
      }

      template {
        destination = "secrets/password"
        data        = "{{ with nomadVar \"nomad/jobs/secrets\" }}{{ .password }}{{ end }}"
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
