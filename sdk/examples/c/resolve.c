// resolve NAME: its addresses.
//
//     nebulet run --allow-net dns:example.org resolve.wasm example.org
#include <sip_net.h>

int main(int argc, char **argv)
{
    struct nebulet_address found[NET_ADDRESSES];
    char text[SIP_ADDRESS_TEXT];
    if (argc != 2)
        sip_panic("usage: resolve NAME");
    int64_t n = sip_net_resolve(argv[1], 0, found, NET_ADDRESSES);
    if (n < 0)
        sip_panic("resolve: %s: %s", argv[1], sip_error_text(n));
    for (int64_t i = 0; i < n; i++) {
        sip_net_print(&found[i], text);
        sip_printf("%s\n", text);
    }
}
