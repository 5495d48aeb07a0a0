#include "vitals.h"
int main(void){return 0;}
