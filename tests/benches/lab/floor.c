// The floor of the benchmark `lab`: hosts on bridges, one datagram from every fourth host to the next, gone; by raw netlink and nothing else.
// Usage: floor HOSTS PORTS, as root of a user namespace, with so many ports to a bridge. Prints `built` when the hosts stand, waits for the
// end of its input, and prints the nanoseconds that it took to build, to use and to end them.
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <fcntl.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/veth.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define CHECK(call) do { if ((call) < 0) { perror(#call); exit(1); } } while (0)

static char buffer[8192];
static size_t used;

static struct nlmsghdr *begin(int type, int flags, const void *header, size_t length) {
    struct nlmsghdr *message = (void *)(buffer + used);
    memset(message, 0, NLMSG_SPACE(length));
    message->nlmsg_type = type;
    message->nlmsg_flags = NLM_F_REQUEST | flags;
    memcpy(NLMSG_DATA(message), header, length);
    used += NLMSG_SPACE(length);
    return message;
}
static struct rtattr *put(int type, const void *value, size_t length) {
    struct rtattr *attribute = (void *)(buffer + used);
    attribute->rta_type = type;
    attribute->rta_len = RTA_LENGTH(length);
    if (length) memcpy(RTA_DATA(attribute), value, length);
    used += RTA_SPACE(length);
    return attribute;
}
static void close_nest(struct rtattr *nest) { nest->rta_len = buffer + used - (char *)nest; }
static void finish(struct nlmsghdr *message) { message->nlmsg_len = buffer + used - (char *)message; }
static void put_u32(int type, unsigned value) { put(type, &value, 4); }
static void put_str(int type, const char *value) { put(type, value, strlen(value) + 1); }

// Sends what was built and waits for the acknowledgement of the last message.
static void transact(int socket, int answers) {
    static char reply[32768];
    CHECK(send(socket, buffer, used, 0));
    used = 0;
    for (;;) {
        ssize_t got = recv(socket, reply, sizeof reply, 0);
        CHECK(got);
        for (struct nlmsghdr *m = (void *)reply; NLMSG_OK(m, got); m = NLMSG_NEXT(m, got)) {
            if (m->nlmsg_type != NLMSG_ERROR) continue;
            int error = ((struct nlmsgerr *)NLMSG_DATA(m))->error;
            if (error) { fprintf(stderr, "netlink: %s\n", strerror(-error)); exit(1); }
            return;
        }
        (void)answers;
    }
}

enum { FIRST_PORT = 1000 };

struct machine { int ns, netlink; };

static struct machine new_machine(void) {
    struct machine m;
    CHECK(unshare(CLONE_NEWNET));
    CHECK(m.ns = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC));
    CHECK(m.netlink = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE));
    struct ifinfomsg lo = {.ifi_index = 1, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    finish(begin(RTM_SETLINK, NLM_F_ACK, &lo, sizeof lo));
    transact(m.netlink, 0);
    return m;
}

static void new_bridge(struct machine m, int number) {
    char name[16];
    snprintf(name, sizeof name, "br%d", number);
    struct ifinfomsg link = {.ifi_index = 2 + number, .ifi_flags = IFF_UP, .ifi_change = IFF_UP};
    struct nlmsghdr *message = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &link, sizeof link);
    put_str(IFLA_IFNAME, name);
    struct rtattr *info = put(IFLA_LINKINFO | NLA_F_NESTED, NULL, 0);
    put_str(IFLA_INFO_KIND, "bridge");
    struct rtattr *data = put(IFLA_INFO_DATA | NLA_F_NESTED, NULL, 0);
    put_u32(IFLA_BR_STP_STATE, 0);
    put_u32(IFLA_BR_FORWARD_DELAY, 0);
    close_nest(data);
    close_nest(info);
    finish(message);
    transact(m.netlink, 0);
}

static void get_link(int index) {
    struct ifinfomsg link = {.ifi_index = index};
    finish(begin(RTM_GETLINK, NLM_F_ACK, &link, sizeof link));
}

static void plug(struct machine host, struct machine sw, int number, int bridge) {
    char name[16];
    snprintf(name, sizeof name, "h%d", number);
    struct ifinfomsg port = {.ifi_index = FIRST_PORT + number, .ifi_flags = IFF_UP, .ifi_change = IFF_UP}, end = {.ifi_index = 2};
    struct nlmsghdr *message = begin(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL | NLM_F_ACK, &port, sizeof port);
    put_str(IFLA_IFNAME, name);
    put_u32(IFLA_NET_NS_FD, sw.ns);
    struct rtattr *info = put(IFLA_LINKINFO | NLA_F_NESTED, NULL, 0);
    put_str(IFLA_INFO_KIND, "veth");
    struct rtattr *data = put(IFLA_INFO_DATA | NLA_F_NESTED, NULL, 0);
    struct rtattr *peer = put(VETH_INFO_PEER | NLA_F_NESTED, &end, sizeof end);
    put_str(IFLA_IFNAME, "eth0");
    put_u32(IFLA_NET_NS_FD, host.ns);
    close_nest(peer);
    close_nest(data);
    close_nest(info);
    put_u32(IFLA_MASTER, 2 + bridge);
    finish(message);
    transact(sw.netlink, 0);

    end.ifi_flags = end.ifi_change = IFF_UP;
    finish(begin(RTM_SETLINK, 0, &end, sizeof end));
    struct ifaddrmsg address = {.ifa_family = AF_INET, .ifa_prefixlen = 16, .ifa_index = 2};
    unsigned ip = htonl(0x0a000001 + number);
    message = begin(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, &address, sizeof address);
    put(IFA_LOCAL, &ip, 4);
    put(IFA_ADDRESS, &ip, 4);
    finish(message);
    get_link(2); // settles the carrier
    transact(host.netlink, 1);
    get_link(FIRST_PORT + number);
    transact(sw.netlink, 1);
}

static int udp(struct machine m, unsigned ip, int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip), .sin_port = htons(port)};
    int fd;
    CHECK(setns(m.ns, CLONE_NEWNET));
    CHECK(fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0));
    CHECK(bind(fd, (void *)&address, sizeof address));
    return fd;
}

static void exchange(struct machine *host, int first) {
    unsigned ip = 0x0a000001 + first;
    int to = udp(host[first + 1], ip + 1, 9), from = udp(host[first], ip, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(ip + 1), .sin_port = htons(9)};
    struct timeval patience = {.tv_sec = 1};
    CHECK(setsockopt(to, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience));
    CHECK(sendto(from, "x", 1, 0, (void *)&address, sizeof address));
    CHECK(recv(to, buffer, sizeof buffer, 0));
    close(to), close(from);
}

static long long now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec * 1000000000LL + time.tv_nsec;
}

int main(int argc, char **argv) {
    if (argc != 3) return 2;
    int hosts = atoi(argv[1]), ports = atoi(argv[2]);
    struct machine *host = calloc(hosts, sizeof *host);
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);

    long long start = now();
    struct machine sw = new_machine();
    for (int i = 0; i < hosts; i++) {
        if (i % ports == 0) new_bridge(sw, i / ports);
        host[i] = new_machine();
        plug(host[i], sw, i, i / ports);
    }
    long long built = now();
    for (int i = 0; i < hosts; i += 4) exchange(host, i);
    long long used = now();
    puts("built"), fflush(stdout);
    getchar();
    long long end = now();
    close(sw.ns), close(sw.netlink);
    for (int i = 0; i < hosts; i++) close(host[i].ns), close(host[i].netlink);
    printf("%lld %lld %lld\n", built - start, used - built, now() - end);
}
