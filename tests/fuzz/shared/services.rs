//! Inputs that are files of names.

use super::write_seeds;

/// Writes the inputs to begin with: one of each thing that a line can be.
///
/// # Panics
/// They cannot be written.
pub fn seeds() {
    let files = [
        "ssh\t22/tcp\n",
        "# names\n\nhttp 80/tcp www web # the web\r\nhttp 80/udp\n",
        "x11 6000-6063/tcp\nx11-one 6010/tcp\n",
        "all 0-65535/udp\nnone 0/udp a b c\n",
        "\u{feff}a 1/TCP\nb 1/Udp\nc 1/sctp\nd 1/dccp\n",
        "rtmp 1/ddp # AppleTalk\nother 1/tcp\nrtp 5004/udplite\n",
        "ssh\nssh 22\nssh tcp/22\nssh 65536/tcp\nssh 22-20/tcp\nssh 22/\nunlabelled 9/tcp\n",
        "https 443/tcp\nmine 443/tcp\ndomain 53/udp\n",
    ];
    write_seeds(|| files.map(|file| file.as_bytes().to_vec()).into());
}
