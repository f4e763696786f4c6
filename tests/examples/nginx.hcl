# nginx on port 80 as the user www-data. Only one capability makes that possible; it has no other.
#
# Needs: nginx on the host (apt install nginx; systemctl disable --now nginx), port 80 free, and unveil_by_task = true in the
# plugin's configuration.
job "nginx" {
  group "web" {
    network {
      port "http" {
        static = 80
      }
    }

    task "nginx" {
      driver = "exec2"
      user   = "www-data"

      # nginx ends in order on this signal.
      kill_signal = "SIGQUIT"

      # /usr/sbin is not among the default paths, so the program is unveiled by its name.
      config {
        command = "/usr/sbin/nginx"
        args    = ["-e", "stderr", "-c", "${NOMAD_TASK_DIR}/nginx.conf"]
        unveil  = ["rx:/usr/sbin/nginx", "r:/etc/nginx/mime.types"]
        cap_add = ["net_bind_service"]
      }

      # All that nginx writes is in the task's directory. Its logs are the task's own: `nomad alloc logs`.
      template {
        destination = "local/nginx.conf"
        data        = <<-NGINX
          daemon           off;
          worker_processes 1;
          pid              {{ env "NOMAD_TASK_DIR" }}/nginx.pid;
          error_log        stderr;

          events {}

          http {
            include               /etc/nginx/mime.types;
            access_log            /proc/self/fd/1;
            client_body_temp_path {{ env "NOMAD_TASK_DIR" }}/body;
            proxy_temp_path       {{ env "NOMAD_TASK_DIR" }}/proxy;
            fastcgi_temp_path     {{ env "NOMAD_TASK_DIR" }}/fastcgi;
            uwsgi_temp_path       {{ env "NOMAD_TASK_DIR" }}/uwsgi;
            scgi_temp_path        {{ env "NOMAD_TASK_DIR" }}/scgi;

            server {
              listen {{ env "NOMAD_PORT_http" }};
              root   {{ env "NOMAD_TASK_DIR" }}/www;
            }
          }
        NGINX
      }

      template {
        destination = "local/www/index.html"
        data        = "served by nginx\n"
      }

      resources {
        cpu    = 200
        memory = 64
      }
    }
  }
}
