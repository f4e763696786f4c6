# Words stand for lists in an unveil: @tmp is rwc:/tmp of the node.
job "unveil-words" {
  group "group" {
    task "main" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["-c", "echo found >/tmp/$NOMAD_ALLOC_ID && cat /tmp/$NOMAD_ALLOC_ID && rm /tmp/$NOMAD_ALLOC_ID; exec sleep infinity"]
        unveil  = ["@tmp", "@tty"]
      }

      resources {
        cpu    = 500
        memory = 32
      }
    }
  }
}
