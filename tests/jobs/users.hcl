# Without `user`, Nomad gives the task one of its own; a named one is looked up on the host.
job "users" {
  type = "batch"

  group "group" {
    task "dynamic" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "echo $(id -u):$(id -g) $USER $HOME; touch $NOMAD_TASK_DIR/mine $NOMAD_ALLOC_DIR/data/shared && echo written"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }

    task "named" {
      driver = "exec2"
      user   = "games"

      config {
        command = "sh"
        args    = ["-c", "echo $(id -u):$(id -g) $USER $HOME; touch $NOMAD_TASK_DIR/mine && echo written"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
