# shellcheck shell=bash
# The servers, each started in the server's namespace from a configuration made in $work,
# and awaited until it listens. Sourced by record.sh.

start_nginx() {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 3650 \
        -subj /CN=www.example -addext subjectAltName=DNS:www.example \
        -keyout "$work/key.pem" -out "$work/cert.pem" 2>/dev/null
    mkdir -p "$work/www"
    printf 'hello\n' >"$work/www/index.html"
    head -c 3000 /dev/zero | tr '\0' 'x' >"$work/www/page.txt"
    truncate -s 4M "$work/www/large.bin"
    cat >"$work/nginx.conf" <<CONF
user root;
worker_processes 1;
daemon off;
pid $work/nginx.pid;
error_log $work/nginx-error.log;
events {}
http {
    access_log off;
    client_body_temp_path $work/nginx-body;
    proxy_temp_path $work/nginx-proxy;
    fastcgi_temp_path $work/nginx-fastcgi;
    uwsgi_temp_path $work/nginx-uwsgi;
    scgi_temp_path $work/nginx-scgi;
    server {
        listen 80;
        listen [::]:80;
        listen 443 ssl http2;
        listen [::]:443 ssl http2;
        ssl_certificate $work/cert.pem;
        ssl_certificate_key $work/key.pem;
        root $work/www;
    }
}
CONF
    background nginx in_server nginx -c "$work/nginx.conf" -e "$work/nginx-error.log"
    wait_listening tcp 80
    wait_listening tcp 443
}

# fetch CURL_ARGUMENTS...: quiet, and the certificate's name goes to the server's address.
fetch() {
    in_client curl -sS --cacert "$work/cert.pem" \
        --resolve "www.example:443:${web_addr-$server_addr}" --resolve "www.example:80:${web_addr-$server_addr}" "$@" >/dev/null
}

# Answers for a few names; the TXT record is long enough to be fragmented over UDP.
start_dnsmasq() { # [DNSMASQ OPTIONS...]
    local long
    long=$(head -c 250 /dev/zero | tr '\0' 't')
    background dnsmasq in_server dnsmasq --keep-in-foreground --conf-file=/dev/null --no-resolv --no-hosts \
        --user=root --pid-file="$work/dnsmasq.pid" --log-facility=- --edns-packet-max=4096 --local=/example/ \
        --host-record=www.example,$server_addr,$server_addr6 --txt-record="long.example$(printf ",$long%.0s" {1..9})" "$@"
    wait_listening udp 53
}

query() { in_client dig +tries=1 +time=2 "@$server_addr" "$@"; }

start_sshd() {
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/host_key"
    ssh-keygen -q -t ed25519 -N '' -C '' -f "$work/user_key"
    cat >"$work/sshd_config" <<CONF
HostKey $work/host_key
AuthorizedKeysFile $work/user_key.pub
PidFile $work/sshd.pid
PermitRootLogin yes
PermitTunnel yes
StrictModes no
UsePAM no
UseDNS no
CONF
    mkdir -p /run/sshd
    background sshd in_server "$(command -v sshd)" -D -e -f "$work/sshd_config"
    wait_listening tcp 22
}

remote() { # [SSH OPTIONS...] [COMMAND...]
    in_client ssh -F /dev/null -q -i "$work/user_key" -o IdentitiesOnly=yes -o StrictHostKeyChecking=no \
        -o UserKnownHostsFile=/dev/null -l root "$server_addr" "$@"
}

# OpenSMTPD has its spool and socket paths compiled in. `ip netns exec` gives each command its own
# mounts, so empty file systems can lie over them without touching the host.
start_smtpd() {
    cat >"$work/smtpd.conf" <<CONF
listen on $server_addr port 25 hostname mail.example
action "drop" mda "cat >/dev/null" user nobody
match from any for domain "example" action "drop"
CONF
    # shellcheck disable=SC2016 # $1 is for the inner shell
    background smtpd in_server sh -c 'mount -t tmpfs -o mode=711 none /var/spool && mkdir -m 711 /var/spool/smtpd &&
        mount -t tmpfs none /run && exec smtpd -d -f "$1"' sh "$work/smtpd.conf"
    wait_listening tcp 25
}

send_mail() { # [SWAKS OPTIONS...]
    in_client swaks --server "$server_addr" --helo client.example --from sender@example --to nobody@example \
        --data 'Subject: greetings\nFrom: sender@example\nTo: nobody@example\n\nHello.\n' "$@" >"$work/swaks.log"
}

start_chronyd() {
    cat >"$work/chrony.conf" <<CONF
local stratum 8
allow
cmdport 0
bindcmdaddress /
pidfile $work/chronyd.pid
CONF
    background chronyd in_server chronyd -x -d -u root -f "$work/chrony.conf"
    wait_listening udp 123
}

# Asks for the time, prints the offset, sets nothing.
ask_time() {
    in_client chronyd -Q -t 10 -u root "pidfile $work/chrony-client.pid" 'cmdport 0' 'bindcmdaddress /' \
        "server ${1-$server_addr} iburst maxsamples 2" >"$work/chrony-client.log" 2>&1
}

start_redis() { # [ADDRESS]
    background redis in_server redis-server --bind "${1-$server_addr}" --port 6379 --save '' --protected-mode no \
        --dir "$work"
    wait_listening tcp 6379
}

redis() { in_client redis-cli -h "$server_addr" "$@" >/dev/null; }

# PostgreSQL refuses to run as root.
start_postgresql() {
    local bin
    bin=$(find /usr/lib/postgresql -maxdepth 2 -name bin | sort -V | tail -n 1)
    install -d -o postgres "$work/pg"
    runuser -u postgres -- "$bin/initdb" -D "$work/pg/data" -U app -A trust -N >"$work/initdb.log"
    echo 'host all all 192.0.2.0/24 trust' >>"$work/pg/data/pg_hba.conf"
    background postgres in_server runuser -u postgres -- "$bin/postgres" -D "$work/pg/data" -k "$work/pg" -h $server_addr
    wait_for runuser -u postgres -- "$bin/pg_isready" -h "$work/pg"
}

# Without TLS and GSS requests, so that the messages are in the clear.
sql() {
    PGSSLMODE=disable PGGSSENCMODE=disable in_client psql -X -q -h "$server_addr" -U app -d postgres "$@" >/dev/null
}
