# The user and the directories that every image of ours has, whatever its source. $1 is the root, $2 the id.
set -eu
root=${1%/}
id=${2:-8500}

touch "$root/etc/passwd" "$root/etc/group"
for file in passwd group; do
    # The name and the number are ours; an entry that has one of them is replaced.
    sed -i -e '/^consul:/d' -e "/^[^:]*:[^:]*:$id:/d" "$root/etc/$file"
done
grep -q '^root:' "$root/etc/passwd" || echo 'root:x:0:0:root:/root:/bin/sh' >>"$root/etc/passwd"
grep -q '^root:' "$root/etc/group" || echo 'root:x:0:' >>"$root/etc/group"
echo "consul:x:$id:$id:Consul:/consul:/bin/sh" >>"$root/etc/passwd"
echo "consul:x:$id:" >>"$root/etc/group"
[ -e "$root/etc/nsswitch.conf" ] || echo 'hosts: files dns' >"$root/etc/nsswitch.conf"

mkdir -p "$root/consul/data" "$root/consul/config"
chown "$id:$id" "$root/consul" "$root/consul/data" "$root/consul/config"
chmod 0755 "$root/consul" "$root/consul/config"
chmod 0700 "$root/consul/data"
