# Reads a file that a task may read, and tries one that it may not: what it prints shows that it is confined.
job "hello" {
  type = "batch"

  group "hello" {
    task "hello" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "head -n 1 /etc/os-release; cat /etc/passwd || echo 'refused, as it should be'"]
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
