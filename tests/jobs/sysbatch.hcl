# Once on every node.
job "sysbatch" {
  type = "sysbatch"

  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "echo"
        args    = ["once on ${node.unique.name}"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
