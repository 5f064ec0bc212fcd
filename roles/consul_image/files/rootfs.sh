# Finish a tree of extracted Debian packages whose own install scripts never ran. $1 is its root.
set -eu
root=$1

# Files that a server never reads.
rm -rf "$root"/usr/share/doc "$root"/usr/share/man "$root"/usr/share/locale "$root"/usr/share/info \
    "$root"/var/cache/apt "$root"/var/lib/apt "$root"/var/log
mkdir -p "$root"/var/log "$root"/root "$root"/run
chmod 0700 "$root"/root

# ca-certificates would write this file while it installs.
mkdir -p "$root"/etc/ssl/certs
cat "$root"/usr/share/ca-certificates/mozilla/*.crt >"$root"/etc/ssl/certs/ca-certificates.crt

# Not busybox: its shell takes its own applets before programs, and its ip knows little.
ln -sf dash "$root"/bin/sh
# Debian's alternatives would link it while it installs.
for folder in bin usr/bin; do
    [ ! -e "$root/$folder/nc.openbsd" ] || ln -sf nc.openbsd "$root/$folder/nc"
done

# The small tools that a learner expects, unless a package brought a better one.
"$root"/bin/busybox --list | while read -r applet; do
    for folder in bin sbin usr/bin usr/sbin; do
        if [ -e "$root/$folder/$applet" ] || [ -L "$root/$folder/$applet" ]; then continue 2; fi
    done
    ln -s /bin/busybox "$root/usr/bin/$applet"
done

[ ! -e "$root"/usr/bin/consul ] || chmod 0755 "$root"/usr/bin/consul
# Nothing in a server's image changes the user that runs it.
find "$root" -xdev -type f -perm /6000 -exec chmod ug-s {} +
