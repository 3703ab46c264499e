"""Where there is land: a mask of one-degree cells.

Made from land-110m of the npm package `world-atlas` 2.0.2, which is Natural Earth's 1:110m land (public domain): a cell
is land where at least half of it is. Invariant: rows go from north to south, columns from 180° W to the east.
"""

from __future__ import annotations

from base64 import b85decode
from functools import cache
from zlib import decompress

ROWS, COLUMNS = 180, 360  # cells of one degree
PACKED = (  # bits, most significant first, by zlib and base 85
    "c-rlmPjB5s5WsieR(TKf=qrB&4-w*r`T-hF1S!Hfa^owc;(`zo;gld%u`3SYfK)y}MfeCDdjdlbkq{{T0F~G%2zscfqa5lsu7_E#y`KH!*E}IOps"
    "w1=dj5GlJ2N{oo-+1q%~?ap&Vz{rN@Ve$bF2j5HsE?vJ)NDP%tXPEtJmCOY+C;wd~|pQSzN;@W4u!)39!-I08!0CEpKM-6fU}iubdP^XeG1t4xYO"
    "3dx9VC7oui~k`tyh${m=)kH3PfEuz)X+dxdzwj5GjHmB@DjBsSZEBF`p?0N~<TZdoWt?ftDSW^zgbtKs))uKASA3xCdx;N%*NAJ1N)^1+$C&<5Ix"
    "KqO=flsx4iZit#WnlG?fFg=e0R`XJKPxf(49v=#kl2G0sJ5>kL5jhoe-*VhTLgyFGSjw&ujM<ZS%S(p#=xCs>0$Lb(3LZD`S55z$49ktXtClD;LL"
    "*IdTcJ!xD?9SqguHqkCgz6jc=IC$1It0RCS`v0SDCt+%*utnGM`VU!fMtwE}KbiOW{Cc6xm=n@E<R${Wf#u_qT{Zm!u+B4u%^_g5w%ShSZV6KLT`"
    "!%5-6cX8_|Ic{N8N;Giks!^%CEdGTx!6K?vbMVTc1Al+9c5J5is5IJXf{?viIEG8vat+V4-c@&`@%iG44Kuc@?u=Puk({@2FVb;tZ?J6ghdKkz7T"
    "OcVvlp_&2_asR%!TWqjiP0_<fvS9>4QfttWW)V?)mRqmXkb3;nxe#dy-`~{IG@jBk(0VFfQ#CzURT;(RAOKevP%~#96B(Z)kH=a<|Dj-kQ;j)NJE"
    "pYDyYL0k}1fQsV)Q=`sMfIWdAC;2<F`w-UOujR=cC8XpmN`;tq;9v=dmoDiSvcyRl&sN%N)Q#m<(`5c&?z+|t8y9iA^xb<jMjNd#pWf7BD!LoihA"
    "CHdlMJ@ctmIWuKrfHb5&k%0a$hIss5^7}@VGX&8YP9hEH9_Inf(OHj%|0RLWPL*6$cE#}il%%mN$r+^)U;vk9s+aA-NFihiF%F`HAH5YV-j;pDJd"
    "<Od9Wng&8y2K#SH9vyzjtnKC;#aP;P8G@M#}>1vTEZT?8k6@HQ&3MK=H?6v1<X>t%#jsT~nE3EgdFo<sPOl|`_$y=Zcmy+)*8G4NVr>)*Y8F=I|L"
    "Q!RzQ`qG8tjNNi!&~~XtUK1#%OI8TNK1z;30&IC5V=PUCH}H+R>6KtLqiJ)Lc69YJYV6f;nv|P<llv$itZY#D0G%-eEaMv<OuEPhK344ns$Hq-=h"
    "`l}&lq5T#fByBF#vOL;1m1-8wCNW53??9X!ubv2aX;135Eo(VG-!#9W|7F6&$CbPY?EzWsPd7Zbx~P4t(Q@H2K*obX5%xCfI-YD|=Xx;MedyHn<S"
    "{QrT`27$-;XeI~lb**;p@dK4Zrp0a^t0k<^ACF#!TSc%QDAgq;+bp>n=wd4W8UGqHBX+{UjcvECOa7xas7Pz!I48fv<MOTl+YLo>(GEKo6cJ+wgN"
    "wV-4A%&Z>$7OOj4a2g7+jN+tWIvXoP8@}I;+s4R!i}PW<j!mHO?H@u)MyY+a_72uWt7OE<kG<H{blw%mi{2z=s{q00!6uXK3LRy;31tGIO$+jUPT"
    "r1U;t)=kJ#Y&DR546r)OzFT7$$dI{~;db(2~vorU7LbuvmWx?|0YnV;=CCo8y1aU$QE2ZIG~=WC&H2!ZqEPD%idY`ClMP+kj0e+OqJG1Il6?Q#Qm"
    "QxFlF>JT_VgBR4b=Z51t3Q`}I?fr`9)LALp@Zrn|Gq9i?Fomn`&CG&jAVy7dj*m$S=K(l3aAA}bp{7c~lECa~aJ~pEjpy@VoLjMxndhVp7ylGajh"
    "<QXP*`xcDG~~5keB<gNjx+KVcYUX2sV4>G{z)*4FWk=_NJ7KIbqiiGX>8UfiF35+6TW{mjDZ%KWw#gM?4>%I-PF+JlN}J;(Q+L<nyRs^1zIk&Y=d"
    "bi%u3z=fNwBz~kP}k8{kn(*<BZRc`ddyNitNcliQJFC;l$1fDEnI{xf`TmGZ9@ox#9E&}h^-q)pJXN6x5B^2r8_L2E0E1v?_Um{UE<M0A<OiR*4j"
    "p@n!*G)hd&CAw7PxOcVQ=FtZSDzYUVvqTahWMIMWqmyQ|0kf=OcnWWqRO7^dNb&zQ@lq?e-E5F11T9E&Vt>A(+vak!-5X;`<2k}Rm+l5ui#qeRZe"
    "Y_q#wduV;G(DNK{lUXVmXZ=VWLCZb^>FFMH6xJb2zJ82;hsgrS1}`}!NM%$3U"
)


@cache
def mask() -> bytes:
    """ROWS × COLUMNS bytes, 1 where there is land."""
    bits = decompress(b85decode(PACKED))
    return bytes(byte >> shift & 1 for byte in bits for shift in range(7, -1, -1))


def is_land(lat_deg: float, lon_deg: float) -> bool:
    """Whether the cell of a place is land."""
    row = min(ROWS - 1, max(0, int(90.0 - lat_deg)))
    return bool(mask()[row * COLUMNS + int(lon_deg + 180.0) % COLUMNS])
