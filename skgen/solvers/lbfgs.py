"""placeholder solver"""
import numpy as np
from skgen.solvers.solution import Solution
def lbfgs(objective, w, rows, monitor, *, memory=10, precondition=None):
    value, g = objective.value_and_gradient(w, rows)
    S=[];Y=[]
    def H(q):
        q=q.copy(); al=[]
        for s,y in zip(reversed(S),reversed(Y)):
            a=(s@q)/(s@y); al.append(a); q-=a*y
        q = precondition(q) if precondition else (q*((S[-1]@Y[-1])/(Y[-1]@Y[-1])) if S else q)
        for s,y,a in zip(S,Y,reversed(al)):
            b=(y@q)/(s@y); q+=(a-b)*s
        return q
    while len(monitor.history)<monitor.max_iter:
        monitor.begin()
        step=-H(g); slope=g@step; t=1.0
        for _ in range(20):
            new=objective.value_and_gradient(w+t*step, rows)
            if new[0]<=value+1e-4*t*slope+1e-15: break
            t*=0.5
        s=t*step; y=new[1]-g
        w=w+s; value,g=new
        if s@y>1e-12*abs(s@s)**.5*abs(y@y)**.5:
            S.append(s);Y.append(y); S=S[-memory:];Y=Y[-memory:]
        if monitor.end(value,w,objective.gradient_norm(g),0.5*g@H(g)): break
    return Solution(w,value,len(monitor.history),monitor.converged,monitor.reason,monitor.history)
