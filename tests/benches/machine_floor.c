// The floor of the benchmark `machine`: the namespaces of a test, made by clone(2) and gone with a child that does nothing, in a loop; or, with
// a PROGRAM, with a child that becomes it, as root of its machine, with nothing mounted and nothing up.
// Usage: ROUNDS=N machine_floor [PROGRAM ARGUMENT...], as anybody.
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static void put(const char *file, const char *text, int length) {
    int fd = open(file, O_WRONLY | O_CLOEXEC);
    if (fd < 0 || write(fd, text, length) != length) perror(file), _exit(1);
    close(fd);
}

static void become(char **program, int uid, int gid) {
    char map[32];
    put("/proc/self/setgroups", "deny", 4);
    put("/proc/self/uid_map", map, sprintf(map, "0 %d 1", uid));
    put("/proc/self/gid_map", map, sprintf(map, "0 %d 1", gid));
    execv(program[0], program);
    perror(program[0]);
}

int main(int argc, char **argv) {
    int flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
    int uid = getuid(), gid = getgid();
    for (int i = atoi(getenv("ROUNDS")); i > 0; i--) {
        int status;
        pid_t child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
        if (child == 0 && argc > 1) become(argv + 1, uid, gid);
        if (child == 0) _exit(argc > 1);
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return perror("clone"), 1;
    }
}
