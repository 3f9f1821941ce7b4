/*
 * Core and its resolver mark a socket close-on-exec when they have made it; a
 * program that starts another in between would leave it open there. The linker
 * sends their calls here (--wrap), where both are one step.
 */
#include <sys/socket.h>

int __real_socket(int domain, int type, int protocol);
int __wrap_socket(int domain, int type, int protocol);

int __wrap_socket(int domain, int type, int protocol)
{
	return __real_socket(domain, type | SOCK_CLOEXEC, protocol);
}
