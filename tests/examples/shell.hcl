# A task that does nothing, to look around in what a task sees:
#   nomad alloc exec -i -t -job shell bash
# What is started so is confined as the task is.
job "shell" {
  group "shell" {
    task "shell" {
      driver = "exec2"

      config {
        command = "sleep"
        args    = ["infinity"]
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
