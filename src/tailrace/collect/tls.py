"""How a sink proves who it is and checks who answers, from the options `tls`."""

import ssl

from tailrace.collect.options import ClientTls


def client_context(tls: ClientTls) -> ssl.SSLContext:
    """What connections are made with; raises OSError where a file cannot be read."""
    context = ssl.create_default_context(cafile=tls.ca_file)
    if tls.crt_file:
        context.load_cert_chain(tls.crt_file, tls.key_file)
    context.check_hostname = tls.verify_hostname and tls.verify_certificate
    if not tls.verify_certificate:
        context.verify_mode = ssl.CERT_NONE
    return context
