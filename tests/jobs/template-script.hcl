# A command is run inside the task when a template of its changes.
job "template-script" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      template {
        destination = "local/word"
        data        = "{{ with nomadVar \"nomad/jobs/template-script\" }}{{ .word }}{{ end }}"
        change_mode = "script"

        change_script {
          command       = "/bin/sh"
          args          = ["-c", "{ echo $(cat $NOMAD_TASK_DIR/word); cat /etc/passwd || echo denied; } >$NOMAD_TASK_DIR/seen"]
          timeout       = "30s"
          fail_on_error = false
        }
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
