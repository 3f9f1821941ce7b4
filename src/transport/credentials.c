#include "transport/credentials.h"

static int add_call_credentials(const struct cprof_channel_options *opts,
	grpc_channel_credentials *tls, grpc_channel_credentials **ret,
	struct cprof_error *err)
{
	grpc_call_credentials *who =
		grpc_service_account_jwt_access_credentials_create(
			opts->credentials_json, grpc_max_auth_token_lifetime(),
			NULL);
	grpc_channel_credentials *both;

	if (!who)
		return cprof_fail(err, CPROF_EAUTH,
			"the credentials are not those of a service account");
	both = grpc_composite_channel_credentials_create(tls, who, NULL);
	grpc_call_credentials_release(who);
	if (!both)
		return cprof_fail(err, CPROF_EAUTH,
			"cannot use the credentials over TLS");
	*ret = both;
	return 0;
}

static int create_tls(const struct cprof_channel_options *opts,
	grpc_channel_credentials **ret, struct cprof_error *err)
{
	grpc_channel_credentials *tls;
	int r;

	tls = grpc_ssl_credentials_create(opts->roots_pem, NULL, NULL, NULL);
	if (!tls)
		return cprof_fail(
			err, CPROF_EAUTH, "cannot use the CA certificates");
	if (opts->credentials == CPROF_CREDENTIALS_NONE) {
		*ret = tls;
		return 0;
	}
	r = add_call_credentials(opts, tls, ret, err);
	grpc_channel_credentials_release(tls);
	return r;
}

int cprof__credentials_create(const struct cprof_channel_options *opts,
	grpc_channel_credentials **ret, struct cprof_error *err)
{
	if (opts->credentials != CPROF_CREDENTIALS_NONE) {
		if (opts->security != CPROF_SECURITY_TLS)
			return cprof_fail(err, CPROF_EINVAL,
				"credentials are sent over TLS only");
		if (!opts->credentials_json)
			return cprof_fail(
				err, CPROF_EINVAL, "no text of credentials");
	}
	if (opts->security == CPROF_SECURITY_TLS)
		return create_tls(opts, ret, err);
	*ret = grpc_insecure_credentials_create();
	return 0;
}

grpc_server_credentials *cprof__server_credentials_create(
	const struct cprof_server_options *opts)
{
	grpc_ssl_pem_key_cert_pair pair = { .private_key = opts->key_pem,
		.cert_chain = opts->cert_pem };

	if (!opts->cert_pem)
		return grpc_insecure_server_credentials_create();
	return grpc_ssl_server_credentials_create_with_options(
		grpc_ssl_server_credentials_create_options_using_config(
			GRPC_SSL_DONT_REQUEST_CLIENT_CERTIFICATE,
			grpc_ssl_server_certificate_config_create(
				NULL, &pair, 1)));
}
