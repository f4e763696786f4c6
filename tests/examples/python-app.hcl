# A small service in Python: it counts its visitors in a database that outlives the task, but not the allocation.
#
# Needs: python3 on the host. What it needs is among the default paths, so nothing is unveiled.
job "python-app" {
  group "app" {
    network {
      port "http" {}
    }

    # Keeps alloc/data when the job is changed and placed on the same node again.
    ephemeral_disk {
      sticky = true
    }

    task "app" {
      driver = "exec2"

      # The task starts in `local`, where the template below puts the program.
      config {
        command = "python3"
        args    = ["app.py"]
      }

      env {
        PYTHONUNBUFFERED = "1"
      }

      template {
        destination = "local/app.py"
        data        = <<-PYTHON
          import http.server, os, sqlite3

          visits = sqlite3.connect(os.path.join(os.environ["NOMAD_ALLOC_DIR"], "data", "visits.db"))
          visits.execute("CREATE TABLE IF NOT EXISTS visit (path TEXT)")

          class Answer(http.server.BaseHTTPRequestHandler):
              def do_GET(self):
                  visits.execute("INSERT INTO visit VALUES (?)", (self.path,))
                  visits.commit()
                  number, = visits.execute("SELECT count(*) FROM visit").fetchone()
                  self.send_response(200)
                  self.end_headers()
                  self.wfile.write(f"visit {number}\n".encode())

          http.server.HTTPServer(("", int(os.environ["NOMAD_PORT_http"])), Answer).serve_forever()
        PYTHON
      }

      resources {
        cpu    = 300
        memory = 64
      }
    }
  }
}
