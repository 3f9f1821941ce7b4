/*
 * What the leak check has to know of a test that loads gRPC core.
 *
 * The one of gcc 12 reads the thread-local memory of core's threads, which come
 * and go by themselves, and crashes on what has just gone: so it may not. Then
 * it does not find what the dynamic linker keeps there, nor OpenSSL the errors
 * of a thread. And c-ares 1.18 loses the name each time that it is "localhost".
 *
 * In a transport without names none of these can be told from another leak:
 * what is lost there, only the tests with the distribution's core can tell.
 */
const char *__lsan_default_options(void);
const char *__lsan_default_suppressions(void);

__attribute__((visibility("default"))) const char *__lsan_default_options(void)
{
	return "use_tls=0";
}

__attribute__((visibility("default"))) const char *__lsan_default_suppressions(
	void)
{
#ifdef TRANSPORT_HAS_NO_NAMES
	return "leak:_transport.so\nleak:__cxa_thread_atexit\nleak:ld-linux";
#else
	return "leak:ares_strdup\nleak:CRYPTO_\nleak:ld-linux";
#endif
}
