# What is written to the task's secrets is in memory, and nobody else's.
job "secrets" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "cd $NOMAD_SECRETS_DIR && mkdir keys && echo found >keys/key && cat keys/key && exec sleep infinity"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
