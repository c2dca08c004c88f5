/* Go programs take their random numbers from ProcessPrng, which Windows has in
   bcryptprimitives.dll and wine 8 does not: they would end at their start. This
   forwards to RtlGenRandom, which wine has. */
#include <windows.h>
#include <ntsecapi.h>

__declspec(dllexport) BOOL WINAPI ProcessPrng(PBYTE data, SIZE_T size)
{
	return RtlGenRandom(data, (ULONG)size);
}
