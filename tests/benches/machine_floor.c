// The floor of the benchmark `machine`: the namespaces of a test, made by clone(2) and gone with a child that does nothing, in a loop.
// Usage: machine_floor ROUNDS, as anybody; prints the nanoseconds of all rounds.
#define _GNU_SOURCE
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

int main(int argc, char **argv) {
    if (argc != 2) return 2;
    int flags = CLONE_NEWUSER | CLONE_NEWNET | CLONE_NEWNS | CLONE_NEWPID | CLONE_NEWUTS | CLONE_NEWIPC;
    struct timespec begin, end;
    clock_gettime(CLOCK_MONOTONIC, &begin);
    for (int i = atoi(argv[1]); i > 0; i--) {
        int status;
        pid_t child = syscall(SYS_clone, flags | SIGCHLD, 0, 0, 0, 0);
        if (child == 0) _exit(0);
        if (child < 0 || waitpid(child, &status, 0) != child || status != 0) return perror("clone"), 1;
    }
    clock_gettime(CLOCK_MONOTONIC, &end);
    printf("%lld\n", (end.tv_sec - begin.tv_sec) * 1000000000LL + end.tv_nsec - begin.tv_nsec);
}
