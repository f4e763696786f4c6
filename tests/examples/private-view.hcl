# Nothing of the host but what is unveiled: in the private view all else does not exist. The default paths are there, and the
# allocation's directories are at /local, /alloc and /secrets too.
job "private-view" {
  type = "batch"

  group "look" {
    task "look" {
      driver = "exec2"

      config {
        command = "sh"
        args    = ["/local/look.sh"]
        view    = "private"

        # Of what the defaults grant, what this task does not need: an empty file stands there.
        veil = ["/etc/hosts"]
      }

      template {
        destination = "local/look.sh"
        data        = <<-SCRIPT
          for path in /usr/bin /etc/os-release /etc/shadow /etc/ssh /root /srv /home; do
              if [ -e $path ]; then echo "$path: there"; else echo "$path: does not exist"; fi
          done
          echo "/etc/hosts: $(wc -c </etc/hosts) bytes"
          echo written >/tmp/file
        SCRIPT
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
