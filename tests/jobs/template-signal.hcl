# The task is signalled when a template of its changes.
job "template-signal" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "trap 'echo changed: $(cat $NOMAD_TASK_DIR/word)' HUP; echo first: $(cat $NOMAD_TASK_DIR/word); while :; do sleep 1; done"]
      }

      template {
        destination   = "local/word"
        data          = "{{ with nomadVar \"nomad/jobs/template-signal\" }}{{ .word }}{{ end }}"
        change_mode   = "signal"
        change_signal = "SIGHUP"
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
